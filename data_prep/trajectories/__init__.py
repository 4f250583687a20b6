"""Improved Dense Trajectories (Wang & Schmid, ICCV 2013) and masks made from them.

The modules, in the order in which they process a video:

    flow         optical flow (Farneback) and spatial scales
    people       optional: excludes people from the estimate of the camera motion
    camera       the homography of the camera motion
    motion       flow between two frames, with and without the camera motion
    tracking     densely sampled points and their tracks
    validity     which tracks are valid, and which are camera motion
    extraction   all tracks of a video
    masks        foreground masks of frames
    preview      a video with its tracks drawn over it

The package imports none of them, so that a command's --help is fast.
"""
