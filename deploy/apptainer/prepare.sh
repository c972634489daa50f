#!/bin/sh
# Run once, and after each change of the container or of this project, with access to a package index:
#   CHIP_CONTAINER=/srv/containers/brainscales-2.sif sh deploy/apptainer/prepare.sh
set -eu
. "$(dirname "$0")/settings.sh"
mkdir -p "$(dirname "$CHIP_PACKAGES")"
in_container --bind "$(dirname "$CHIP_PACKAGES")" -- \
  python3 "$PROJECT/deploy/apptainer/packages.py" "$CHIP_PACKAGES"
