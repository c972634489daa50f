#!/bin/sh
# Build the images that docker-compose.yml starts from, where no registry can be reached: Debian packages installed by
# debootstrap, and a wheelhouse of what pip finds here. Prints the variables that select these images:
#
#   PYTHON=.venv/bin/python sh tests/compose/images.sh > images.env
#
# Needs root, and in $PYTHON a Python of the same version as Debian's, for which the wheels are fetched.
set -eu
release=bookworm
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}

fail() {
  echo "images: $1" >&2
  exit 1
}

# image VARIABLE TAG DOCKERFILE-LINES: build on $base.
image() {
  printf 'FROM %s\n%b\n' "$base" "$3" > "$context/Dockerfile"
  docker build --quiet --tag "$2" "$context" >&2
  echo "$1=$2"
}

for tool in debootstrap docker tar; do
  command -v "$tool" >/dev/null || fail "$tool is not installed; install its Debian package"
done
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
  || fail "wheels are fetched for the Python of \$PYTHON, and the images have 3.11; set PYTHON to a 3.11"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
context=$folder/context
mkdir "$context"
base=hxserve-local/debian:$release
debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata $release "$folder/root" >&2
tar -C "$folder/root" --one-file-system -cf - . | docker import - "$base" >&2

install='RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends'
tidy='&& rm -rf /var/lib/apt/lists/*'
image PYTHON_IMAGE hxserve-local/python:3.11 "$install python3 python3-venv $tidy"
image REDIS_IMAGE hxserve-local/redis:7.0 "RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis
$install redis-server $tidy
RUN mkdir -p /data && chown redis:redis /data
WORKDIR /data
VOLUME /data
CMD [\"redis-server\"]"
image PROXY_IMAGE hxserve-local/haproxy:2.6 "$install haproxy $tidy
USER haproxy
CMD [\"haproxy\", \"-f\", \"/usr/local/etc/haproxy/haproxy.cfg\"]"
image PROMETHEUS_IMAGE hxserve-local/prometheus:2.42 "$install prometheus wget $tidy
RUN mkdir -p /prometheus && chown nobody:nogroup /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT [\"prometheus\"]"

# Builds take every wheel from here, so that no pip configuration of this machine reaches an image that is kept.
# async-timeout: redis-py needs it before Python 3.11.3; Debian has 3.11.2, and pip resolves for the Python it runs in.
"$python" -m pip download --quiet --dest "$context/wheels" --constraint "$root/constraints.txt" \
  "$root/emulator" "${root}[api,flower,worker]" 'hatchling>=1.27' 'async-timeout>=4.0.3' >&2
base=hxserve-local/python:3.11
image BUILD_IMAGE hxserve-local/python-wheels:3.11 'COPY wheels /wheels
RUN printf "[global]\\nno-index = true\\nfind-links = /wheels\\n" > /etc/pip.conf'
echo REDIS_VERSION=7.0
echo TORCH_INDEX=
