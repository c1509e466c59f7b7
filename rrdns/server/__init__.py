"""The two ways in for queries: UDP in batches, TCP by connection. Both ask `respond.AnswerTable`."""
