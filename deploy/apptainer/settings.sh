# Shared by prepare.sh and worker.sh. Variables:
#   CHIP_CONTAINER      the image of the BrainScaleS-2 software
#   CHIP_CONTAINER_APP  the application in it that has hxtorch, if it has several
#   CHIP_PACKAGES       folder of the packages that the container lacks [/var/lib/hxserve-packages]
#   CONTAINER_PROGRAM   apptainer or singularity; whichever is installed by default
PROJECT=$(cd "$(dirname "$0")/../.." && pwd)
CHIP_PACKAGES=${CHIP_PACKAGES:-/var/lib/hxserve-packages}

refuse() {
  echo "hxserve: $1" >&2
  exit 1
}

[ -n "${CHIP_CONTAINER:-}" ] || refuse "CHIP_CONTAINER is not set; name the image of the BrainScaleS-2 software"
[ -e "$CHIP_CONTAINER" ] || refuse "there is no $CHIP_CONTAINER; CHIP_CONTAINER names the image of the chip's software"
if [ -z "${CONTAINER_PROGRAM:-}" ]; then
  CONTAINER_PROGRAM=$(command -v apptainer || command -v singularity) \
    || refuse "neither apptainer nor singularity is installed"
fi

# in_container [OPTION...] -- COMMAND [ARGUMENT...]
in_container() {
  options=
  set -- --bind "$PROJECT" ${CHIP_CONTAINER_APP:+--app "$CHIP_CONTAINER_APP"} "$@"
  count=$#
  # Put the image between the options and the command, in the place of `--`.
  while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    if [ "$word" = -- ] && [ -z "$options" ]; then
      options=ended
      word=$CHIP_CONTAINER
    fi
    set -- "$@" "$word"
  done
  exec "$CONTAINER_PROGRAM" exec "$@"
}
