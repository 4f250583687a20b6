"""Improved Dense Trajectories (Wang & Schmid, ICCV 2013) and masks made from them.

In the order in which a video goes through:

    video        frames of a file
    flow         Farneback's flow, spatial scales
    people       optional: keeps people out of the camera's estimate
    camera       the homography that undoes the camera's motion
    motion       both flows between two frames
    tracking     dense points, tracks
    validity     which tracks count, which are camera motion
    extraction   all tracks of a video
    masks        foreground masks of frames
    preview      tracks drawn over their video

Nothing is imported here, so that the commands answer --help at once.
"""
