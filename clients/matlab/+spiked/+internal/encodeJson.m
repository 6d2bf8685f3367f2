function text = encodeJson(value)
% encodeJson  JSON text of a header, where a list stays a list whatever its length.
%
%   cell                          list, also with one element or none
%   struct                        object; a struct array is a list of objects
%   char row                      string
%   logical or numeric scalar     true, false or number
%   other numeric arrays          flat list in column-major order; [] is the empty list
%
%   Finite numbers only: error spiked:invalid for NaN and Inf, which JSON does not have.

% SPDX-License-Identifier: BSD-3-Clause
value = spiked.internal.asChar(value);
if ischar(value)
    text = quote(value);
elseif iscell(value)
    parts = cell(1, numel(value));
    for i = 1:numel(value)
        parts{i} = spiked.internal.encodeJson(value{i});
    end
    text = ['[' join(parts) ']'];
elseif isstruct(value) && isscalar(value)
    names = fieldnames(value);
    parts = cell(1, numel(names));
    for i = 1:numel(names)
        parts{i} = [quote(names{i}) ':' spiked.internal.encodeJson(value.(names{i}))];
    end
    text = ['{' join(parts) '}'];
elseif isstruct(value)
    text = spiked.internal.encodeJson(num2cell(value));
elseif (isnumeric(value) || islogical(value)) && isscalar(value)
    text = number(value);
elseif isnumeric(value) || islogical(value)
    text = spiked.internal.encodeJson(num2cell(value));
else
    spiked.internal.fail('invalid', sprintf('a value of class %s cannot be sent', class(value)));
end
end

function text = number(x)
if ~isreal(x) || ~isfinite(x)
    spiked.internal.fail('invalid', 'a number that is complex, NaN or infinite cannot be sent', 'give a finite real number');
elseif islogical(x)
    words = {'false', 'true'};
    text = words{x + 1};
elseif isinteger(x) || (x == fix(x) && abs(x) <= 2^53)
    text = sprintf('%d', x);
else
    text = sprintf('%.17g', x);
end
end

function text = quote(s)
s = strrep(strrep(reshape(s, 1, []), '\', '\\'), '"', '\"');
for c = s(s < ' ')
    s = strrep(s, c, sprintf('\\u%04x', double(c)));
end
text = ['"' s '"'];
end

function text = join(parts)
text = sprintf('%s,', parts{:});
if ~isempty(text)
    text = text(1:end - 1);
end
end
