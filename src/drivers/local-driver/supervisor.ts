/**
 * What waits for a ship on the outside, so that Bay is not needed for its end. A shell of one page instead of a program of
 * ours: it costs 0.2 MiB, and there is nothing to build for it.
 *
 * It leaves Bay's control group, starts the ship in its own, and waits. The fifo `alive` has a writer exactly as long as
 * the ship's init lives: who watches the other end (Bay, slirp4netns) learns of the end without asking. After an ephemeral
 * ship it removes control groups and the runtime directory; after others it leaves them, because they say how it ended.
 *
 * Arguments: runtime directory, `ephemeral` or `kept`, `bwrap` or `plain`, the ship's control groups (one a line), then the
 * groups to move to itself, `--`, and the command. bubblewrap gets `alive` as fd 3 and the status file as fd 4.
 */
export const SUPERVISOR_SCRIPT = `
umask 077
run=$1 fate=$2 mode=$3 groups=$4
shift 4
while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done
shift
IFS='
'
mkfifo "$run/alive" || exit 1
if [ "$mode" = plain ]; then exec 3<> "$run/alive"; fi
(
  for group in $groups; do echo 0 > "$group/cgroup.procs" || exit 1; done
  if [ "$mode" = plain ]; then exec "$@" 3>&-; fi
  exec 3<> "$run/alive" 4>> "$run/status.json"
  exec "$@"
) &
if [ "$mode" = plain ]; then echo "{ \\"child-pid\\": $! }" > "$run/status.json"; fi
wait $!
code=$?
if [ "$mode" = plain ]; then echo "{ \\"exit-code\\": $code }" >> "$run/status.json"; fi
if [ "$fate" = ephemeral ]; then
  IFS=' ,'
  read -r _ _ init _ 2> /dev/null < "$run/status.json"
  tries=0
  while read -r _ _ state _ 2> /dev/null < "/proc/$init/stat" && [ "$state" != Z ] && [ $tries -lt 100 ]; do
    tries=$((tries + 1))
    sleep 0.01
  done
  IFS='
'
  for group in $groups; do
    tries=0
    while [ -d "$group" ] && ! rmdir "$group" 2> /dev/null && [ $tries -lt 40 ]; do tries=$((tries + 1)); sleep 0.05; done
    rmdir "\${group%/*}" 2> /dev/null
  done
  rm -rf "$run"
fi
exit $code
`;

/** Starts a network helper outside Bay's control group, with what it may write to its log bounded (in KiB). */
export const HELPER_SCRIPT = `
while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs"; shift; done
shift
trap '' XFSZ
ulimit -f 1024
exec "$@"
`;
