#!/bin/sh
# The worker in the software container of the chip, with the usual HXSERVE_*, QUIGGELDY_* and SLURM_FPGA_IPS variables
# and the arguments of `python -m worker`.
set -eu
. "$(dirname "$0")/settings.sh"
[ -d "$CHIP_PACKAGES" ] || refuse "$CHIP_PACKAGES is missing; run deploy/apptainer/prepare.sh first"

# Bind what the worker uses outside the container: folders, secrets of systemd and its notification socket.
set -- -- sh -c 'PYTHONPATH="$1:$2:$2/emulator${PYTHONPATH:+:$PYTHONPATH}"; export PYTHONPATH; shift 2
  python3 -c "import hxtorch, hxtorch.perceptron" || {
    echo "worker: hxtorch cannot be imported in this container; it is not started" >&2; exit 1; }
  exec python3 -P -m worker "$@"' worker "$CHIP_PACKAGES" "$PROJECT" "$@"
for path in "$CHIP_PACKAGES" "${HXSERVE_DATA_DIR:-data}" "${HXSERVE_MNIST:-}" "${HXSERVE_CALIBRATION:-}" \
  "${HXSERVE_REDIS_PASSWORD_FILE:-}" "${NOTIFY_SOCKET:-}"
do
  if [ -e "$path" ]; then set -- --bind "$path" "$@"; fi
done
HXSERVE_CHIP=${HXSERVE_CHIP:-hxtorch}
export HXSERVE_CHIP
in_container "$@"
