#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, those that are not there yet: sh deploy/make_secrets.sh [FOLDER]
#
# The folder is its owner's alone. The files in it can be read by all, since in the containers nobody is their owner.
set -eu
folder=${1:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"
for name in redis_api_password redis_worker_password redis_admin_password admin_token flower_password grafana_password
do
  [ -s "$folder/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$folder/$name"
  chmod 444 "$folder/$name"
done
echo "secrets are in $folder; the admin's token is in $folder/admin_token"
