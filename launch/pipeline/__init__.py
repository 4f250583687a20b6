"""From folders of photos and videos to a trunk and a report, as a plan of commands."""
