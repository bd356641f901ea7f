"""Triton kernels of the triton backend and their launches; importing them imports triton."""
