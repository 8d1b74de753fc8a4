#!/usr/bin/env bash
# Runs all tests and doctests, then prints how many conformance cases ran.
#
#   scripts/test.sh ARGUMENTS      which packages and features, as cargo names them
#
# Returns the exit code of nextest. Where that is 0, returns 1 if a doctest fails, or if ../shared is present
# and a suite of testing/conformance.txt did not run. CARGO names the cargo to call.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

read -ra cargo <<<"${CARGO:-cargo}"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
counts=$target/conformance
log=$target/doctests.log

# The output is shown on failure only: each crate adds lines that look like another result of all tests.
doctests() {
  local began=$SECONDS libtorch=${LIBTORCH:-$PWD/libtorch/torch}/lib
  # The rpath that build.rs asks for does not reach doctests.
  if ! LD_LIBRARY_PATH=$libtorch${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
    "${cargo[@]}" test --doc "$@" >"$log" 2>&1; then
    cat "$log"
    return 1
  fi
  echo "doctests: $(awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$log") ran" \
    "in $((SECONDS - began)) s"
}

# Prints a line for each suite, and fails where one that has a number did not run.
conformance() {
  local suite floor count sum=0 missing=()
  if [ ! -e ../shared ]; then
    echo "conformance cases: none, since ../shared is absent"
    return
  fi
  while read -r suite floor; do
    if [ -e "$counts/$suite" ]; then
      count=$(<"$counts/$suite")
      sum=$((sum + count))
      printf '%8d  %s\n' "$count" "$suite$([ "$count" -eq "$floor" ] || echo " (listed: $floor)")"
    else
      missing+=("$suite")
    fi
  done < <(grep -v '^#' testing/conformance.txt)
  echo "conformance cases: $sum in all"
  if [ ${#missing[@]} -gt 0 ]; then
    echo "conformance suites that did not run: ${missing[*]}" >&2
    return 1
  fi
}

rm -rf "$counts"
mkdir -p "$counts"
status=0
MAGICLENS_CONFORMANCE=$counts "${cargo[@]}" nextest run "$@" || status=$?
doctests "$@" || status=$((status ? status : 1))
conformance || status=$((status ? status : 1))
exit "$status"
