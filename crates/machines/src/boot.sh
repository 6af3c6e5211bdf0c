# Boots a machine: $1 its state folder, $2 its name, $3 folders of the host that it sees (one a line); then a command.
# Runs in new mount, pid, uts and ipc namespaces, as their first process. The network is the host's, so that the
# machine's agent reaches a gateway on loopback.
set -eu
state=$1 name=$2 binds=$3
shift 3
# The kernel lets go of the boot before a moment after its last process ended, and two mounts of one disk would spoil
# it. With an index it refuses the second while the first is there.
tries=0
until mount -t overlay overlay -o "index=on,lowerdir=/,upperdir=$state/upper,workdir=$state/work" "$state/root"; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || exit 1
    sleep 0.05
done
cd "$state/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
cat /proc/sys/kernel/random/uuid > run/boot_id
mount --bind run/boot_id proc/sys/kernel/random/boot_id
printf '%s\n' "$binds" | while read -r folder; do
    [ -n "$folder" ] || continue
    mkdir -p ".$folder"
    mount --bind "$folder" ".$folder"
done
hostname "$name"
exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
