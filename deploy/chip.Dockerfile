# The worker on a real chip: an image of the chip's software, with the packages that it lacks in a folder beside them.
ARG CHIP_IMAGE
FROM ${CHIP_IMAGE} AS worker
USER root
WORKDIR /opt/hxserve
COPY . .
# Fails for an image without hxtorch, and leaves its torch, hxtorch and numpy as they are.
RUN python3 deploy/apptainer/packages.py /opt/packages && install -d -o 10001 -g 10001 /data
ENV PYTHONPATH=/opt/packages:/opt/hxserve:/opt/hxserve/emulator:${PYTHONPATH:-} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 HXSERVE_DATA_DIR=/data
USER 10001:10001
CMD ["python3", "-m", "worker"]
