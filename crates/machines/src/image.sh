# Makes a machine's image, inside it: $1 the sources.list; then the packages, each as name=version.
set -eu
sources=$1
shift
rm -rf /etc/apt/sources.list.d/* /etc/apt/preferences.d/* /var/lib/apt/lists/*
printf '%s' "$sources" > /etc/apt/sources.list
printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' > /etc/apt/apt.conf.d/20auto-upgrades
# The repository may lie below a folder that only root may enter.
echo 'APT::Sandbox::User "root";' > /etc/apt/apt.conf.d/90sandboxed-machine
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq -y install "$@" >/dev/null
apt-mark hold fx-held >/dev/null
