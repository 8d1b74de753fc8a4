#!/usr/bin/env bash
# Runs all tests and doctests, then prints how many ran, of conformance cases too.
#
#   scripts/test.sh [ARGUMENTS]      arguments of nextest, such as --profile soak
#
# Tests that do not need libtorch are of a build without it, a process each: libtorch takes a process a
# quarter of a second to start. Unit tests that need it share a process. Many tests wait for a server, a clock or
# a killed process, so twice as many run at once as there are cores; NEXTEST_TEST_THREADS says otherwise.
#
# Returns 0 only where every test passes and, where ../shared is present, every suite of
# testing/conformance.txt has run. CARGO names the cargo to call.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

read -ra cargo <<<"${CARGO:-cargo}"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export MAGICLENS_CONFORMANCE=$target/conformance
# The modules of src/ that are there with feature `torch` only (tests/it/test_script.rs).
torch_modules=(model:: retrieval:: stages::embed::clip:: train::)
plain=(--workspace --exclude magiclens-torch --features cluster)
torch=(--package magiclens --package magiclens-torch --features torch,cluster)
export NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$((2 * $(getconf _NPROCESSORS_ONLN)))}
status=0

# Runs a step; all steps are run, and the first failure decides the exit code.
step() {
  local name=$1 began=$SECONDS code=0
  shift
  "$@" || code=$?
  status=$((status ? status : code))
  echo "-- $name: $((SECONDS - began)) s"
}

# Unit tests that need libtorch, by their whole names: libtest takes parts of names, and `model::` is a part of
# `endpoint::model::` too. The limit only ends a hang.
torch_units() {
  local log=$target/torch-units.log programs program folder pattern names
  programs=$(unit_test_programs) || return 1
  for program in $programs; do
    case $program in
      */magiclens_torch-*) folder=torch pattern=^ ;;
      *) folder=. pattern=^$(IFS='|' && echo "(${torch_modules[*]})") ;;
    esac
    names=$(names_of "$program" "$pattern") || return 1
    if ! (cd "$folder" && xargs timeout 1800 "$program" --exact <<<"$names") >"$log" 2>&1; then
      cat "$log"
      return 1
    fi
    echo "   $(wc -l <<<"$names") in $folder passed"
  done
}

# Builds the unit tests of the crates that need libtorch; prints a path a line.
unit_test_programs() {
  "${cargo[@]}" test "${torch[@]}" --lib --no-run --message-format=json-render-diagnostics |
    grep -o '"executable":"[^"]*"' | cut -d '"' -f 4
}

# Prints the names of a program's tests that match a pattern.
names_of() { "$1" --list --format terse | sed -n 's/: test$//p' | grep -E "$2"; }

# The output is shown on failure only: each crate adds lines that look like another result of all tests.
doctests() {
  local log=$target/doctests.log
  if ! "${cargo[@]}" test --doc --no-fail-fast "${plain[@]}" >"$log" 2>&1; then
    cat "$log"
    return 1
  fi
  echo "doctests: $(awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$log") ran"
}

# Prints a line for each suite, and fails where one that has a number did not run.
conformance() {
  local suite floor count sum=0 missing=()
  if [ ! -e ../shared ]; then
    echo "conformance cases: none, since ../shared is absent"
    return
  fi
  while read -r suite floor; do
    if [ -e "$MAGICLENS_CONFORMANCE/$suite" ]; then
      count=$(<"$MAGICLENS_CONFORMANCE/$suite")
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

rm -rf "$MAGICLENS_CONFORMANCE"
mkdir -p "$MAGICLENS_CONFORMANCE"
step "unit tests with libtorch" torch_units
step "whole-program tests with libtorch" \
  "${cargo[@]}" nextest run --package magiclens --features torch,cluster --test tch "$@"
step "doctests" doctests
step "tests without libtorch" "${cargo[@]}" nextest run "${plain[@]}" --tests "$@"
step "conformance" conformance
exit "$status"
