"""Where the agent parts from Amazon's on purpose in what it serves to containers and to people."""

from agent.config.setting import Deviation

SERVED: tuple[Deviation, ...] = (
    Deviation(
        "task protection: `ExpiresInMinutes` of more than 32 bits",
        "is cut to 32 bits",
        "goes to ECS as it is, which refuses it",
    ),
    Deviation(
        "task protection: the credentials of the task's role have expired",
        "ECS is asked with them, and says so",
        "403, as where there are none yet",
    ),
    Deviation(
        "task protection: ECS answers with neither a task nor a failure",
        "the connection breaks",
        "500, `ServerException`",
    ),
    Deviation(
        "introspection (port 51678)",
        "listens at every address; rules of the firewall keep others out",
        "listens on loopback alone, unless `ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS` opens it; tells health too",
    ),
    Deviation(
        "`/license`",
        "500 where one of three files is missing",
        "the texts that there are, and 500 where there is none",
    ),
    Deviation(
        "faults for a task of the network mode `bridge`",
        "are refused with 500",
        "are made in the network of the container that asks",
    ),
    Deviation(
        "`SourcesToFilter` of a black hole for `ingress`",
        "is compared with where packets go, and so spares nobody",
        "is compared with where they come from",
    ),
    Deviation(
        "what a black hole spares",
        "is let in, whatever the other rules of the host say",
        "goes on to the other rules",
    ),
    Deviation(
        "the way to metadata while there is a fault",
        "is kept open for `egress` on port 80",
        "is kept open both ways, whatever the fault: at 169.254.170.2 and, on the host, at the agent's own port;"
        " latency and loss whose `Sources` cover it leave it out",
    ),
    Deviation(
        "a fault whose start fails or takes too long",
        "stays half made; all its commands have 5 s",
        "is undone; all its commands have 4 s, so that the answer still arrives",
    ),
    Deviation(
        "faults in the network of the host",
        "stay until they are stopped",
        "end with the last task that asked for them; those that an agent finds when it starts, with the last task that"
        " may have asked",
    ),
    Deviation(
        "what containers may ask of the agent at a time",
        "any number of connections; a bucket for each path that was ever asked for is kept for good",
        "1024 connections, 256 of them of one address; 64 KiB of body, else 413; 8192 buckets",
    ),
    Deviation(
        "an answer to a container that breaks for a bug",
        "the connection is closed",
        "500 without a body",
    ),
    Deviation(
        "metadata and credentials of another task",
        "are told to whoever knows the id in the path",
        "are told to containers of that task alone, known by address or socket; others are answered as for an unknown"
        " id, but with 404 where that would be 500. `DOCKWORKER_ISOLATE_TASKS=false` goes by the id",
    ),
    Deviation(
        "containers, networks and volumes in metadata",
        "stand in an order that is another each time",
        "stand in the order of the task definition, networks by name, volumes by path; labels of the agent's own are"
        " left out",
    ),
    Deviation(
        "`Health` in metadata",
        "keeps the exit code of a check that failed once; `output` is the beginning of what the check wrote",
        "has an exit code while the container is unhealthy; `output` is the end, where the cause stands",
    ),
    Deviation(
        "statistics of metadata",
        "are the last of a stream that Docker keeps open for each container",
        "are asked of Docker when they are asked for, which takes it a second or two, and shared for a second",
    ),
    Deviation(
        "tags in metadata",
        "are asked for one after the other, for up to 30 s each; the answer is cut off after 5 s",
        "are asked for at once, for 4 s; what has not come then stands in `Errors`",
    ),
    Deviation(
        "the file of metadata",
        "is completed once, or after the next start of the agent",
        "is tried again five times, and written anew when a restart policy has started the container again",
    ),
)
