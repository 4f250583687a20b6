#!/bin/bash
# A study on a Slurm cluster, a task of a job array for each cell. From the checkout, with
# its environment active:
#
#   python -m launch.study --study=NAME --output=DIR [flags] --list | tail -1   # "204 cells"
#   STUDY=NAME OUTPUT=DIR sbatch --array=0-203%16 launch/recipes/study_slurm.sh [flags]
#
# The flags are those of launch.study, such as --data=DIR; give both commands the same. %16
# limits the array to 16 tasks at a time. OUTPUT is on a shared file system with file locks
# (docs/studies.md). A cell waits for the cells that it needs; these have lower numbers, so
# they start earlier. Submit the same array again for the cells that have failed: those that
# are done end at once.
#
# Two minutes before the time limit the cell writes a checkpoint, and its task is queued
# again.

#SBATCH --job-name=selfsup-study
#SBATCH --ntasks=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A-%a.log

: "${STUDY:?names the study or its file}"
: "${OUTPUT:?names the folder of the study}"

srun --ntasks=1 \
    python -m launch.study --study="$STUDY" --output="$OUTPUT" \
    --cell="$SLURM_ARRAY_TASK_ID" "$@"
status=$?

# 75: a signal stopped the cell.
if [ "$status" -eq 75 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
