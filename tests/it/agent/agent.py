"""A transfer agent that keeps objects in a folder, and can misbehave.

usage: agent.py FOLDER [FAULT]

Speaks git-lfs's custom transfer protocol. Objects lie in FOLDER/objects under their oid. Everything
that is said to it is appended to FOLDER/log, a line each, behind the number of its process; so is
its working folder, once. FAULT is one of

  refuse-upload, refuse-download   answers `init` with an error
  error      answers the first transfer with an error, then works
  die        dies in the middle of every transfer, with last words
  die-once   dies in the middle of the first transfer of all its processes
  other-oid, other-event, not-json, long-line, no-path   break the protocol
  overshoot  says that more bytes have moved than there are
  hang       says nothing more once it is asked for a transfer
  meet       waits at its first transfer until another process is asked for one
  linger     does not end when it is told to, but when its input does
  wrong-bytes, wrong-size   downloads something else
"""

import json
import os
import shutil
import sys
import time
import urllib.request

FOLDER = sys.argv[1]
FAULT = sys.argv[2] if len(sys.argv) > 2 else ""
STORE = os.path.join(FOLDER, "objects")


def log(text):
    with open(os.path.join(FOLDER, "log"), "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {text}\n")


def say(**message):
    print(json.dumps(message), flush=True)


def first_of_all():
    """Whether no process of this folder was here before."""
    try:
        os.mkdir(os.path.join(FOLDER, "first"))
        return True
    except FileExistsError:
        return False


def misbehave(oid, secrets):
    """Does what FAULT says; whether that was the end of the transfer."""
    if FAULT == "die" or FAULT == "die-once" and first_of_all():
        say(event="progress", oid=oid, bytesSoFar=1, bytesSinceLast=1)
        print("the agent's last words", secrets, file=sys.stderr, flush=True)
        os._exit(3)
    if FAULT == "hang":
        time.sleep(600)
    if FAULT == "meet":
        os.makedirs(os.path.join(FOLDER, "met", str(os.getpid())), exist_ok=True)
        deadline = time.monotonic() + 60
        while len(os.listdir(os.path.join(FOLDER, "met"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    if FAULT == "error" and first_of_all():
        say(event="complete", oid=oid, error={"code": 7, "message": f"the agent's no {secrets}"})
    elif FAULT == "other-oid":
        say(event="complete", oid="ab" * 32)
    elif FAULT == "other-event":
        say(event="news", oid=oid)
    elif FAULT == "not-json":
        print(f"hello, are you there? {secrets}", flush=True)
    elif FAULT == "long-line":
        print("x" * (2 << 20), flush=True)
    elif FAULT == "no-path":
        say(event="complete", oid=oid)
    else:
        return False
    return True


def request(action, method, data=None):
    """What a server says to do with an object is done; without a server there is the folder."""
    headers = {**action["header"], "Content-Type": "application/octet-stream"}
    return urllib.request.urlopen(urllib.request.Request(action["href"], data, headers, method=method))


def send(message, stored):
    with open(message["path"], "rb") as file:
        content = file.read()
    if message["action"]:
        request(message["action"], "PUT", content).close()
    with open(f"{stored}.{os.getpid()}", "wb") as file:
        file.write(content)
    os.rename(file.name, stored)


def fetch(message, stored, target):
    if message["action"]:
        with request(message["action"], "GET") as answer, open(target, "wb") as file:
            shutil.copyfileobj(answer, file)
    else:
        shutil.copyfile(stored, target)


def progress(oid, size):
    half = size // 2
    say(event="progress", oid=oid, bytesSoFar=half, bytesSinceLast=half)
    end = size * 2 if FAULT == "overshoot" else size
    say(event="progress", oid=oid, bytesSoFar=end, bytesSinceLast=end - half)


def transfer(message):
    oid, size = message["oid"], message["size"]
    # All that a server gives is in the wrong words, too.
    if misbehave(oid, message["action"] or ""):
        return
    stored = os.path.join(STORE, oid)
    answer = {"event": "complete", "oid": oid}
    if message["event"] == "upload":
        send(message, stored)
    elif message["action"] or os.path.exists(stored):
        answer["path"] = os.path.join(FOLDER, f"download {oid}")
        fetch(message, stored, answer["path"])
        if FAULT.startswith("wrong-"):
            with open(answer["path"], "r+b") as file:
                file.seek(0, os.SEEK_END if FAULT == "wrong-size" else os.SEEK_SET)
                file.write(b"wrong")
    else:
        answer["error"] = {"code": 404, "message": "the agent does not have it"}
    progress(oid, size)
    say(**answer)


def main():
    os.makedirs(STORE, exist_ok=True)
    log(f"runs in {os.getcwd()}")
    for line in sys.stdin:
        log(line.strip())
        message = json.loads(line)
        if message["event"] == "init" and FAULT == f"refuse-{message['operation']}":
            say(error={"code": 32, "message": "the agent does not do this"})
        elif message["event"] == "init":
            say()
        elif message["event"] == "terminate":
            if FAULT != "linger":
                return
        else:
            transfer(message)


main()
