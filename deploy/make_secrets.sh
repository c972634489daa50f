#!/bin/sh
# Make the secrets for docker-compose.yml that do not exist yet: sh deploy/make_secrets.sh [FOLDER]
#
# Only its owner can enter the folder. The files in it are readable by all, because no user of a container owns them.
set -eu
folder=${1:-$(dirname "$0")/../secrets}
mkdir -p "$folder"
chmod 700 "$folder"
for name in redis_api_password redis_worker_password redis_admin_password admin_token flower_password grafana_password
do
  [ -s "$folder/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$folder/$name"
  chmod 444 "$folder/$name"
done
echo "the secrets are in $folder, the admin's token in $folder/admin_token"
