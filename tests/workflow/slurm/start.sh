#!/usr/bin/env bash
# Start a Slurm of one node and two pretended GPUs, as root and without systemd: start.sh FOLDER
# All that it writes lies in FOLDER, but for two links in /etc/slurm, where `srun` inside a job looks.
set -euo pipefail
folder=$(realpath "$1")
host=$(hostname -s)

for name in slurm.conf gres.conf; do
    if [ -e "/etc/slurm/$name" ]; then
        echo "/etc/slurm/$name exists: this machine has a Slurm already, run the test elsewhere" >&2
        exit 1
    fi
done

mkdir -p "$folder"/{state,spool} /etc/slurm
for number in 0 1; do # Slurm counts character devices only; these are null devices
    [ -e "$folder/gpu$number" ] || mknod "$folder/gpu$number" c 1 3
done
cat >"$folder/gres.conf" <<END
NodeName=$host Name=gpu File=$folder/gpu[0-1]
END
# More cores and memory than there may be, since nothing enforces them here (no cgroups): the test is to
# send the project's own requests.
cat >"$folder/slurm.conf" <<END
ClusterName=florilegium
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=32 RealMemory=65536 Gres=gpu:2
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE
END
ln -s "$folder/slurm.conf" "$folder/gres.conf" /etc/slurm/

dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 600 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
slurmctld
slurmd

for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then exit 0; fi
    sleep 1
done
echo "Slurm did not become ready in a minute; read $folder/slurmctld.log and $folder/slurmd.log" >&2
exit 1
