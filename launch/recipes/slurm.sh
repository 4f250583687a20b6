#!/bin/bash
# Pretraining on a Slurm cluster. From the checkout, with its environment active:
#
#   DATA=/shared/data MODEL_DIR=/shared/run sbatch launch/recipes/slurm.sh [pretrain flags]
#
# The chief is on the first machine; each machine has a parameter server, each GPU a
# worker. All machines read DATA by the same path. MODEL_DIR has to be seen by the first
# machine alone, which may be another one when the job queues again.
#
# Two minutes before its time is up the run writes a checkpoint, and the job queues
# again until the run has come to its end.
#
# TensorFlow's servers have no authentication: whoever can reach these machines' ports,
# other users of the cluster included, can run what they like as you. Where others can,
# ask for whole machines (--exclusive) in a partition that only you can reach.

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

# --wait: the other machines end after the one with the chief.
# The port is another for each job, as two may share a machine.
srun --ntasks-per-node=1 --kill-on-bad-exit=1 --wait=60 \
    python -m launch.slurm \
    --ps="${SLURM_JOB_NUM_NODES}" \
    --workers_per_node="${SLURM_GPUS_ON_NODE:-1}" \
    --port="$((20000 + SLURM_JOB_ID % 100 * 100))" \
    --listen=network \
    -- --data="$DATA" --model_dir="$MODEL_DIR" "$@"
status=$?

# validation.json is there after the end of a run alone.
if [ "$status" -eq 0 ] && [ ! -e "$MODEL_DIR/validation.json" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
