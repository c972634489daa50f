# The API, and with `--target flower` Celery's Flower, both without torch.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# Wheels may be fetched and built in another image than the one that runs, for sites with packages of their own.
ARG BUILD_IMAGE=${PYTHON_IMAGE}

FROM ${BUILD_IMAGE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python3 -m venv /opt/hxserve
COPY pyproject.toml README.md constraints.txt ./
COPY pictures/pyproject.toml pictures/README.md pictures/
# Empty packages stand in for the source, so that a change of the source leaves this layer cached.
RUN mkdir api deploy services worker pictures/hxserve_pictures \
    && /opt/hxserve/bin/pip install --quiet --constraint constraints.txt ./pictures '.[api,grpc,tracing]'

FROM dependencies AS build
COPY api api
COPY deploy deploy
COPY pictures pictures
COPY services services
COPY worker worker
RUN /opt/hxserve/bin/pip install --quiet --no-deps --force-reinstall ./pictures .

FROM build AS flower-build
RUN /opt/hxserve/bin/pip install --quiet --constraint constraints.txt '.[flower]'

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 hxserve \
    && useradd --uid 10001 --gid hxserve --no-create-home --home-dir /nonexistent hxserve \
    && install -d -o hxserve -g hxserve /acl /data
# PYTHONSAFEPATH: nothing is imported from the current folder.
ENV PATH=/opt/hxserve/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
USER hxserve

FROM base AS flower
COPY --from=flower-build /opt/hxserve /opt/hxserve
EXPOSE 5555
CMD ["python", "-m", "deploy.flower"]

FROM base AS api
COPY --from=build /opt/hxserve /opt/hxserve
ENV HXSERVE_DATA_DIR=/data HXSERVE_HOST=0.0.0.0
EXPOSE 8080
CMD ["python", "-m", "api"]
