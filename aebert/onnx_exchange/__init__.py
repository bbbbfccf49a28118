"""Models from ONNX files and into them.

Nothing is imported here, so that nothing needs onnx and onnxruntime before a file is read or written.
"""
