"""The pipelines: each wires nodes that read parameters and call the modules above."""
