"""Reports: pages about a study or a pretraining run, as HTML and Markdown."""
