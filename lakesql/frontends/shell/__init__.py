r"""The shell: `lakesql` on a terminal.

    read      reading.py      keys -> the text of statements or a command; completion, colours, history
    command   commands.py     `\d t` -> what the shell does, or SQL that asks for it
    run       client.py       SQL -> a worker process (worker.py) that holds the session and can be killed
    show      showing.py      batches -> the screen, a pager, a file or another program
    loop      loop.py         all of them, until \q

The session lives in a process of its own, because a join that has begun cannot be stopped from inside: when a cancelled statement goes on taking the processor,
its process is ended and another takes over, with the settings and views of the one before.
"""
