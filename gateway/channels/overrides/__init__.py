"""What a channel changes in the requests that pass through it: members of the body, and headers.

`reading` understands what an operator wrote, `editing` does it to a request, `sealed` keeps both
read. The words are those that operators of other gateways know: the syntax of new-api's
`param_override` and `header_override`, with `default` and `clamp` besides.
"""
