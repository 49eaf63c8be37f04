"""One way to launch, drain, reload, supervise and serve long-running services, on eventlet.

    green                        the one door to eventlet: ``green.patch()`` comes before every other import
    config logs errors           options, logging with a request id, the exception tree
    manager periodic loopingcall a Manager does a service's work; periodic tasks
    service system_service       a Manager's life; WsgiService (web), SystemService (queue)
    launcher workers signals     processes, here or forked; soft and hard ends, reloads
    sockets server http          listening, accepting, HTTP/1
    compose routing middleware/ apps/   what web applications are made of
    rpc/ registry/ control monitor      the queue, who is up, what it does, supervisors
    testing/                     test tools for services built on this

Import what you need from its module: importing the package imports nothing, so that a program patches first.
"""
