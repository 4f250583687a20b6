"""The processes of a cluster: how they are described, started, watched and joined."""
