"""giftless (an LFS server by other people) and `git http-backend` behind one address.

usage: server.py FOLDER    serves the bare repositories below FOLDER/git, and prints its URL
"""

import os
import sys

from giftless.app import init_app

sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir, "support"))
from git_http import git, serve


def main():
    folder = sys.argv[1]
    # giftless 0.6 stumbles when two uploads make the same folder at once.
    os.makedirs(os.path.join(folder, "objects", "org", "model"))
    storage = {"path": os.path.join(folder, "objects")}
    lfs = init_app(additional_config={
        "LEGACY_ENDPOINTS": False,
        "AUTH_PROVIDERS": ["giftless.auth.allow_anon:read_write"],
        "TRANSFER_ADAPTERS": {
            "basic": {"options": {"storage_options": storage}},
            # In parts, but not as the Hub does it: chosen if a client offers it.
            "multipart-basic": {
                "factory": "giftless.transfer.multipart:factory",
                "options": {
                    "storage_class": "giftless.storage.local_storage:LocalStorage",
                    "storage_options": storage,
                },
            },
        },
        "PRE_AUTHORIZED_ACTION_PROVIDER": {"options": {"private_key": "not a secret " * 3}},
    })

    def application(environ, start_response):
        if "/info/lfs/" in environ["PATH_INFO"]:
            return lfs(environ, start_response)
        return git(folder, environ, start_response)

    serve(application)


main()
