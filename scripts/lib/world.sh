# For scripts that mine a demo world: sourced, by a script that sets `name`, `config`, `seeds` and `log`.

world=

say() { echo "$name: $*" >&2; }
die() { say "$*"; exit 1; }

# Builds what the arguments of cargo name, with DEMO_CARGO_FLAGS; `program NAME` then gives each path.
build() {
  local flags
  read -ra flags <<<"${DEMO_CARGO_FLAGS:-}"
  # One build for all, since each choice of packages may compile dependencies with other features.
  built=$(cargo build "${flags[@]}" --package magiclens --package magiclens-demo "$@" \
    --message-format=json-render-diagnostics |
    grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
}
program() { grep "/$1\$" <<<"$built" || die "cargo built no $1"; }

# Only what a demo left may be removed: a run directory of another kind stays.
clear_out() {
  local out=$1
  if [ -e "$out" ]; then
    [ -e "$config" ] || die "$out is there and is no demo's: move it, or name another directory"
    rm -rf "$out"
  fi
  mkdir -p "$(dirname "$out")"
  rm -f "$config" "$seeds"
}

# True where something answers on a port of loopback.
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    answers "$port" || { echo "$port"; return; }
  done
  die "no free port between 20000 and 32000"
}

# Serves a world until the script ends: `start_world PROGRAM VERB`. It is up once it has printed its
# seeds and written the configuration to reach it.
start_world() {
  local port tries
  port=$(free_port)
  "$1" "$2" --port "$port" --config-out "$config" >"$seeds" 2>"$log" &
  world=$!
  # Only to end what hangs: a busy machine takes its time.
  for tries in $(seq 1500); do
    if [ -s "$seeds" ] && [ -s "$config" ] && answers "$port"; then
      say "the demo world is up on port $port"
      return
    fi
    kill -0 "$world" 2>/dev/null || { cat "$log" >&2; die "the demo world ended early"; }
    sleep 0.2
  done
  cat "$log" >&2
  die "the demo world is not up after 5 minutes"
}

stop_world() {
  [ -z "$world" ] || kill "$world" 2>/dev/null || true
  world=
}
trap stop_world EXIT
trap 'exit 130' INT TERM
