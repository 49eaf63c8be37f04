"""AWS's query protocol: ``POST /`` with ``Action=...&Version=...`` as a form, answered in XML. One package for every API of it.

    parameters.py   the flat parameters, read as what they mean: lists, structures, maps
    request.py      QueryRequest: read once; what its signature covers, who asks, which action
    signatures.py   SigV4 for any service, SigV2 of the query protocol
    action.py       an action is a method marked with its name
    documents.py    elements, lists and maps of the answers
    faults.py       errors in the protocol's words, and a row for each fact of the domain
    context.py      what policies may ask of such a request
    service.py      Service: a name, a version, a namespace, its actions and its error rows
    app.py          QueryApp: the pipeline; serves any number of services at one address

An API is a :class:`~nova_objectstore.query.service.Service` whose controllers have marked methods::

    class TopicController:
        def __init__(self, topics: Topics, access: Access) -> None: ...

        @action("CreateTopic")
        def create_topic(self, req: QueryRequest) -> Answer:
            name = req.parameters.required("Name")  # Tags.member.N.Key/Value: req.parameters.tags()
            arn = f"arn:aws:sns:{self.region}:{req.principal.account_id}:{name}"
            self._access.check_account(req.principal, "sns:CreateTopic", arn, context=req.context)
            yield element("TopicArn", self._topics.create(req.principal.account_id, name).arn)

        @action("DeleteTopic")
        def delete_topic(self, req: QueryRequest) -> None:  # no result: None

    SNS = Service(
        "sns", version="2010-03-31", namespace="http://sns.amazonaws.com/doc/2010-03-31/",
        actions=bind_actions(TopicController(...)), rows={NoSuchTopic: ErrorRow("NotFound", 404, "Topic does not exist")},
    )

``assembly_query.py`` lists the services; nothing else is to be done. A service is chosen by ``Version``, and the request must
be signed for its name. An action that takes unsigned requests says so: ``@action("AssumeRoleWithWebIdentity", signed=False)``;
then ``req.principal`` may be ANONYMOUS. Errors: raise a :class:`~nova_objectstore.query.faults.QueryFault` of your own
(``code``, ``status``), or a fact of the domain that has a row.
"""
