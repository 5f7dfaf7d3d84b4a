#!/usr/bin/env bash
# The gate of action.yml: a summary for the pull request, outputs, and an exit code. Reads FORBEAR, FILES, OPTIONS,
# REQUIRE and JUNIT; writes GITHUB_STEP_SUMMARY, GITHUB_OUTPUT and RUNNER_TEMP/forbear-verdict.json.
set -uo pipefail

arguments=()
while IFS= read -r line; do
  if [ -n "$line" ]; then arguments+=("$line"); fi
done <<< "${OPTIONS:-}"
arguments+=(--)
while IFS= read -r line; do
  if [ -n "$line" ]; then arguments+=("$line"); fi
done <<< "${FILES:-}"

case "${REQUIRE:=INTERVENE}" in
  INTERVENE | not-FORBEAR | any) ;;
  *) echo "require is INTERVENE, not-FORBEAR or any, got '$REQUIRE'" >&2; exit 2 ;;
esac

json="${RUNNER_TEMP:-/tmp}/forbear-verdict.json"
"$FORBEAR" decide --gate --format json "${arguments[@]}" > "$json"
code=$?
case $code in
  0) verdict=INTERVENE ;;
  20) verdict=FORBEAR ;;
  21) verdict=UNDECIDED ;;
  *) exit "$code" ;;
esac

"$FORBEAR" decide --brief "${arguments[@]}"
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then "$FORBEAR" decide --format md "${arguments[@]}" >> "$GITHUB_STEP_SUMMARY"; fi
if [ -n "${JUNIT:-}" ]; then "$FORBEAR" decide --format junit "${arguments[@]}" > "$JUNIT"; fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then printf 'verdict=%s\njson=%s\n' "$verdict" "$json" >> "$GITHUB_OUTPUT"; fi

case "$REQUIRE:$verdict" in
  any:* | *:INTERVENE | not-FORBEAR:UNDECIDED) exit 0 ;;
  *) exit "$code" ;;
esac
