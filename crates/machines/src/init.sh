# The first process of a running machine: keeps its agent (the arguments) running until a reboot is asked for.
# 42 tells the machine's power to boot it again.
agent=
while [ ! -e /run/nightshift-reboot ]; do
    if [ ! -e /run/nightshift-agent-stopped ] && { [ -z "$agent" ] || ! kill -0 "$agent" 2>/dev/null; }; then
        "$@" >>/var/log/nightshift-agent.log 2>&1 &
        agent=$!
        echo "$agent" > /run/nightshift-agent.pid
    fi
    sleep 0.1
done
exit 42
