function seconds = retryAfter(header)
% retryAfter  Seconds after which a request that was answered BUSY may be tried again.

% SPDX-License-Identifier: BSD-3-Clause
seconds = 0.1;
if isfield(header, 'error') && isfield(header.error, 'retry_after_ms')
    seconds = header.error.retry_after_ms / 1000;
end
end
