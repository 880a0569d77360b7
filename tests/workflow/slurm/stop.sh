#!/usr/bin/env bash
# Stop the Slurm that start.sh started in FOLDER, and remove its links: stop.sh FOLDER
set -uo pipefail
folder=$(realpath "$1")

SLURM_CONF="$folder/slurm.conf" scancel --user=root 2>/dev/null # of no other Slurm
for daemon in slurmd slurmctld munged; do
    pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null
    for _ in $(seq 20); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.5
    done
    kill -KILL "$pid" 2>/dev/null
done
for name in slurm.conf gres.conf; do
    if [ "$(readlink "/etc/slurm/$name")" = "$folder/$name" ]; then rm "/etc/slurm/$name"; fi
done
rm -f "$folder"/gpu[01]
