"""HTTPS access to the files of collections: what a Connect Server answers under a collection's ``https_server``."""
