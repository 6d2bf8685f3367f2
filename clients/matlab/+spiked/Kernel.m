classdef Kernel
% Kernel  A function of the daemon's language, a subset of Python; made by sp.compile(source).
%
%   k = sp.compile(source, ...)
%   y = sp.call(k, x, 0.1)
%   n = rec.map(k, -50)
%
%   A kernel is Python: indices inside it start at 0, ranges leave out their end, and x[i] reads an element.
%   The language is described in kernels/compiler/LANGUAGE.md.
%
%   See also spiked.Client.compile, spiked.Client.call, spiked.Recording.map

% SPDX-License-Identifier: BSD-3-Clause

    properties (SetAccess = private)
        name = ''               % of the function
        source = ''             % text
        options = struct()      % by their names on the wire
        description = struct()  % what the daemon says of it, if it was compiled with 'Like': signature, writes, loops, ...
    end

    methods
        function obj = Kernel(name, source, options)
            % Kernel  Called by spiked.Client.compile.
            obj.name = name;
            obj.source = source;
            obj.options = options;
        end

        function obj = described(obj, description)
            % described  The same kernel with what the daemon says of it.
            obj.description = description;
        end

        function params = wire(obj)
            % wire  How a request names it (protocol/SPEC.md 4.8).
            params = struct('source', obj.source, 'kernel', obj.name);
            if ~isempty(fieldnames(obj.options))
                params.options = obj.options;
            end
        end

        function disp(obj)
            % disp  One line that says what it is.
            text = obj.name;
            if isfield(obj.description, 'signature')
                text = [obj.name ' ' obj.description.signature];
            end
            fprintf('<spiked.Kernel %s, %d lines>\n', text, sum(obj.source == sprintf('\n')) + 1);
        end
    end
end
