/** The configuration that the README shows; the line numbers of the mistakes beside it are its own. */
export const EXAMPLE = `# yaml-language-server: $schema=./node_modules/meterbook/schema.json
version: 1

storage:
  path: \${METER_DB:-./data/meter.db}
  keepEvents: 400d               # raw events; totals and sent reports stay for ever

identity:                        # who pays: the first path that gives a value wins
  companyId: [hook, request.user.companyId, request.auth.orgId]   # hook = identifyCompany()
  unknown: hold                  # hold | drop. Held events can be assigned later

fields:                          # computed ("scripted") fields, in CEL, once per event
  billable_tokens: number(response.headers["x-tokens-used"]) - number(response.headers[?"x-tokens-cached"].orValue("0"))

meters:
  chat_tokens:
    name: Chat tokens
    unit: token
    match:                       # every line must hold; header names ignore case
      request.route: /chat
      response.status: 200
    aggregate: sum               # count | sum | max | min | latest | unique
    value: response.headers.X-Tokens-Used          # or fields.billable_tokens
    groupBy: { model: request.body.model }
    missingValue: hold           # hold | zero | skip: a 200 without the header is never a silent 0

plans:
  test_plan:
    name: Test Plan
    currency: usd
    every: month
    prices:
      - meter: chat_tokens
        model: perUnit           # perUnit | graduated | volume | package | flat
        unitAmount: "0.002"      # dollars per token, quoted so it stays exact

billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}    # a key written here in clear is an error
    mode: test                   # a live key is refused until this says live
    map:
      company_id: customer.metadata.company_id
    unmatchedCustomer: hold      # hold | create | error
    report: { every: 1m, grace: 1h }
    noSubscription: hold         # hold | send
`;
