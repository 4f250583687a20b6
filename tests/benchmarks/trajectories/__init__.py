"""Times Improved Dense Trajectories and compares ways to match features."""
