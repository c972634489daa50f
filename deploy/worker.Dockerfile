# The worker on an emulated chip. A worker on a real chip runs in the chip's software container: see deploy/apptainer.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# Wheels may be fetched and built in another image than the one that runs, for sites with packages of their own.
ARG BUILD_IMAGE=${PYTHON_IMAGE}

FROM ${BUILD_IMAGE} AS dependencies
# The index of the torch build: by default for the CPU; empty for pip's own index, whose build brings CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python3 -m venv /opt/hxserve
COPY constraints.txt ./
RUN grep -E '^torch(vision)?==' constraints.txt > torch.txt \
    && /opt/hxserve/bin/pip install --quiet --constraint constraints.txt \
       ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} --requirement torch.txt
COPY pyproject.toml README.md ./
COPY emulator/pyproject.toml emulator/README.md emulator/
COPY pictures/pyproject.toml pictures/README.md pictures/
# Empty packages stand in for the source, so that a change of the source leaves this layer cached.
RUN mkdir api deploy services worker emulator/hxtorch_emulator pictures/hxserve_pictures \
    && /opt/hxserve/bin/pip install --quiet --constraint constraints.txt ./emulator ./pictures '.[worker,datasets,tracing]'

FROM dependencies AS build
COPY api api
COPY deploy deploy
COPY emulator emulator
COPY pictures pictures
COPY services services
COPY worker worker
RUN /opt/hxserve/bin/pip install --quiet --no-deps --force-reinstall ./emulator ./pictures .

FROM ${PYTHON_IMAGE} AS worker
RUN groupadd --gid 10001 hxserve \
    && useradd --uid 10001 --gid hxserve --no-create-home --home-dir /nonexistent hxserve \
    && install -d -o hxserve -g hxserve /data
COPY --from=build /opt/hxserve /opt/hxserve
# PYTHONSAFEPATH: nothing is imported from the current folder.
ENV PATH=/opt/hxserve/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 \
    HXSERVE_DATA_DIR=/data
USER hxserve
CMD ["python", "-m", "worker"]
