#!/bin/sh
# Install Debian's RabbitMQ when the machine has none, without a broker that runs as a service: tests start their own.
set -eu

if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server > /dev/null; then
  exit 0
fi
if ! command -v apt-get > /dev/null || [ "$(id -u)" != 0 ]; then
  echo "RabbitMQ is missing, and only root on Debian gets it installed from here: install rabbitmq-server yourself" >&2
  exit 1
fi

# Debian asks this file before it starts a service that it has just installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends rabbitmq-server > /dev/null
# Nor is one to run after the next boot of the machine.
if command -v systemctl > /dev/null; then
  systemctl --quiet disable rabbitmq-server || true
fi
