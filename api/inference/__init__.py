"""The Open Inference Protocol (KServe's version 2) with its binary tensor extension: its words and its tensors."""
