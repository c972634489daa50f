#!/bin/sh
# The worker in the software container of the chip. Settings are HXSERVE_*, QUIGGELDY_* and SLURM_FPGA_IPS as ever;
# arguments are those of `python -m worker`.
set -eu
. "$(dirname "$0")/settings.sh"
[ -d "$CHIP_PACKAGES" ] || refuse "$CHIP_PACKAGES is missing; run deploy/apptainer/prepare.sh first"

# What the worker reads and writes outside the container: folders, and where systemd put secrets and listens.
set -- -- sh -c 'PYTHONPATH="$1:$2:$2/emulator${PYTHONPATH:+:$PYTHONPATH}"; export PYTHONPATH; shift 2
  python3 -c "import hxtorch, hxtorch.perceptron" || {
    echo "worker: hxtorch cannot be imported in this container; it is not started" >&2; exit 1; }
  exec python3 -P -m worker "$@"' worker "$CHIP_PACKAGES" "$PROJECT" "$@"
for place in "$CHIP_PACKAGES" "${HXSERVE_DATA_DIR:-data}" "${HXSERVE_MNIST:-}" "${HXSERVE_CALIBRATION:-}" \
  "${HXSERVE_REDIS_PASSWORD_FILE:-}" "${NOTIFY_SOCKET:-}"
do
  if [ -e "$place" ]; then set -- --bind "$place" "$@"; fi
done
HXSERVE_CHIP=${HXSERVE_CHIP:-hxtorch}
export HXSERVE_CHIP
in_container "$@"
