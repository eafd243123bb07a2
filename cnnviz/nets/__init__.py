"""Which networks there are (data), how one is built in Keras, and how weights get in and out of files."""
