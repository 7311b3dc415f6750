"""The shape of the code: layers, imports, exports, clocks."""
