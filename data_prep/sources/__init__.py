"""Builders of data sets from photos, videos, ImageNet, VOC and NYU Depth v2.

For each source there are three modules: `*_builder` puts a build together, `*_listing`
lists the inputs, and `*_conversion` converts an input to records in a worker process.
"""
