#!/bin/bash
# Pretraining on a Slurm cluster. From the checkout, with its environment active:
#
#   DATA=/shared/data MODEL_DIR=/shared/run sbatch launch/recipes/slurm.sh [pretrain flags]
#
# The chief runs on the first machine. Each machine has a parameter server, and each GPU
# has a worker. All machines read DATA at the same path. Only the first machine reads and
# writes MODEL_DIR, but it may be a different machine each time the job is queued.
#
# Two minutes before the job's time limit the run writes a checkpoint. The job is then
# queued again, until the run is finished.
#
# TensorFlow's servers have no authentication: anybody who can reach the ports of these
# machines, such as other users of the cluster, can run programs under your name. If
# others can reach them, ask for whole machines (--exclusive) in a partition that only you
# can reach.

#SBATCH --job-name=selfsup
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

: "${DATA:?names the folder of the built data sets}"
: "${MODEL_DIR:?names the folder of the run}"

# --wait: the other machines end after the machine with the chief.
# Each job has its own port, because two jobs may share a machine.
srun --ntasks-per-node=1 --kill-on-bad-exit=1 --wait=60 \
    python -m launch.slurm \
    --ps="${SLURM_JOB_NUM_NODES}" \
    --workers_per_node="${SLURM_GPUS_ON_NODE:-1}" \
    --port="$((20000 + SLURM_JOB_ID % 100 * 100))" \
    --listen=network \
    -- --data="$DATA" --model_dir="$MODEL_DIR" "$@"
status=$?

# validation.json exists only if the run is finished.
if [ "$status" -eq 0 ] && [ ! -e "$MODEL_DIR/validation.json" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
