# Makes a machine's image, inside it: $1 dnf or zypper, $2 the repositories; then the packages, which it has at 1.0.
set -eu
kind=$1 repository=$2
shift 2
# A machine that looks like one of its family. Debian's rpm keeps root's database elsewhere: make every tool agree.
rm -f /etc/os-release
case $kind in
dnf) family='ID="almalinux"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Sandboxed machine with dnf"\n' ;;
zypper) family='ID="sles"\nID_LIKE="suse"\nPRETTY_NAME="Sandboxed machine with zypper"\n' ;;
esac
printf "$family" > /etc/os-release
mkdir -p /etc/rpm
rm -rf /var/lib/rpm /var/cache/dnf /var/cache/zypp /var/lib/dnf
echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros.sandboxed-machine
case $kind in
dnf)
    mkdir -p /etc/yum.repos.d /etc/dnf/vars
    rm -f /etc/yum.repos.d/*
    echo 9 > /etc/dnf/vars/releasever
    printf '[main]\ngpgcheck=0\nplugins=1\nmodule_platform_id=platform:el9\n' > /etc/dnf/dnf.conf
    for part in base updates; do
        printf '[fx-%s]\nname=fx-%s\nbaseurl=file://%s/%s\ngpgcheck=0\n' $part $part "$repository" $part
    done > /etc/yum.repos.d/fx.repo
    dnf -q -y --disablerepo=fx-updates install "$@" >/dev/null
    dnf -q makecache
    echo 'exclude=fx-held' >> /etc/dnf/dnf.conf
    ;;
zypper)
    mkdir -p /etc/zypp/repos.d /etc/sysconfig
    rm -f /etc/zypp/repos.d/*
    for part in base updates; do
        printf '[fx-%s]\nname=fx-%s\nenabled=1\nautorefresh=1\nbaseurl=dir:%s/%s\ntype=rpm-md\ngpgcheck=0\n' \
            $part $part "$repository" $part > /etc/zypp/repos.d/fx-$part.repo
    done
    zypper -q --non-interactive refresh >/dev/null
    zypper -q --non-interactive install --from fx-base --oldpackage "$@" >/dev/null
    zypper -q --non-interactive addlock fx-held >/dev/null
    printf '# Kept as it was\nAOU_ENABLE_CRONJOB="true"\nAOU_PATCH_CATEGORIES=""\n' > /etc/sysconfig/automatic_online_update
    ;;
esac
