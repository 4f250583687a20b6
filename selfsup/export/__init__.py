"""Exported trunks.

`trunk_export` writes and loads exports. `from_run` exports a pretraining run, and
`from_slim` exports a TF-Slim checkpoint. `saved_model`, `onnx_model` and `model_card` write
parts of an export.
"""
