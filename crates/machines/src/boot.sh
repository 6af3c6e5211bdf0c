# Boots a machine: $1 its state folder, $2 its name, $3 what it sees of the host (one path a line); then a command.
# Runs in new mount, pid, uts and ipc namespaces, as their first process. The network is the host's, so that the
# machine's agent reaches a gateway on loopback.
set -eu
state=$1 name=$2 binds=$3
shift 3
# Layers by relative paths: an absolute one may hold the commas and colons that separate them.
cd "$state"
# The kernel lets go of the boot before a moment after its last process ended, and two mounts of one disk would spoil
# it. With an index it refuses the second while the first is there.
tries=0
# Volatile: nothing waits for the host's disk (dpkg asks for that after each file). What a machine writes is lost only if
# the host crashes, which the kernel notes here and would refuse to mount again.
rm -rf work/work/incompat
until said=$(mount -t overlay overlay -o index=on,volatile,lowerdir=/,upperdir=upper,workdir=work root 2>&1); do
    tries=$((tries + 1))
    case $said in *busy* | *"in-use"*) [ "$tries" -lt 200 ] && sleep 0.05 && continue ;; esac
    echo "$said" >&2
    echo "$state must be on a disk's file system or a tmpfs: an overlay of / is made there" >&2
    exit 1
done
cd root
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
cat /proc/sys/kernel/random/uuid > run/boot_id
mount --bind run/boot_id proc/sys/kernel/random/boot_id
# Its own moment of boot too: what was installed before it needs no reboot any more.
sed "s/^btime .*/btime $(date +%s)/" proc/stat > run/stat
mount --bind run/stat proc/stat
printf '%s\n' "$binds" | while read -r path; do
    [ -n "$path" ] || continue
    if [ -d "$path" ]; then
        mkdir -p ".$path"
    else
        mkdir -p ".${path%/*}"
        [ -e ".$path" ] || : > ".$path"
    fi
    mount --bind "$path" ".$path"
done
hostname "$name"
exec chroot . "$@"
