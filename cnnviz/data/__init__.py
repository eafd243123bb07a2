"""Data sets: what there is, where it lies, how it is read and downloaded. Reading needs no Keras."""

from cnnviz.data.datasets import DATASETS, DataError, Dataset, data_folder, download, find, is_here, load, path

__all__ = ["DATASETS", "DataError", "Dataset", "data_folder", "download", "find", "is_here", "load", "path"]
